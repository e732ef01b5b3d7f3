"""Deployments: commands of an application that migrate its database, run under guard or rehearsed on a copy."""
