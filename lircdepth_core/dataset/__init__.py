"""nuScenes data sets: conversion to ROS 2 bags."""
