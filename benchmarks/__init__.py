"""First figures of the road, as ratios against something measured in the same run."""
