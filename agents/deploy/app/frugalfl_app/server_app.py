"""Where Flower finds the coordinator."""

from frugalfl.agents.deploy.run.server import make_server_app

app = make_server_app()
