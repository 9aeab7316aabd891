"""Apps with models of other people's packages: each is installed by the tests of its package."""
