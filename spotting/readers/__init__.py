"""What the kinds of weights say of features, and how that becomes intervals."""
