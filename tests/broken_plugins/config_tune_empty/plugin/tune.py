"""Has no tune()."""
