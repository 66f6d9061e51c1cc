"""A real identity provider for tests (django-oauth-toolkit), and one that says whatever a test wants."""
