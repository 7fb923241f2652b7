"""How good intervals are: metrics, agreement, reports, leaving one subject out."""
