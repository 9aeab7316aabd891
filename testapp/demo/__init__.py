"""What ``manage.py demo`` needs besides the product."""
