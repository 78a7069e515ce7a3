"""What the node costs besides the network, against the least that its work can cost.

python -m node_bench --out out/node_bench
"""
