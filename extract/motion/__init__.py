"""How the face moves: optical flow, head motion removed, snippets, and pose-normalised geometry."""
