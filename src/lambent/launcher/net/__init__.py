"""Networks of sandboxes: loopback with its listeners, routers, VPCs, and the ways out to the internet."""
