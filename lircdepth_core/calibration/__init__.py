"""Calibration: from the expected uncertainty of the head to metres, fitted on held-out samples."""
