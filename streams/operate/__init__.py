"""What an operator can ask or do; the command line and the console are faces of it. Never decides what is true."""
