"""Generated data sets in nuScenes format, with exact depth."""
