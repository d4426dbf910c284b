"""Where Flower finds the node."""

from frugalfl.agents.deploy.client import make_client_app

app = make_client_app()
