"""The dialect of cloud.ca and CloudMC: snapshots of volumes, and the tasks that make them."""
