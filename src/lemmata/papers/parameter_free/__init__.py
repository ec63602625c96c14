"""Parameter-free adaptive gradient methods: Tao, Yuan, Zhou, Cao, Gu 2024, arXiv 2412.19444."""
