"""Figures for papers: one moment of a video, or a grid of moments, denoising steps, layers or heads."""
