"""What the tests and the commands around them stand on; standard library only."""
