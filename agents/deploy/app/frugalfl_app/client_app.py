"""Where Flower finds the node."""

from frugalfl.agents.deploy.nodes.client import make_client_app

app = make_client_app()
