"""The graph written down: Serve config files and KubeRay's RayService."""
