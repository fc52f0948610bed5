"""Images of volumes, block by block, in the packs and manifests that all snapshots have."""
