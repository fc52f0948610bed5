"""Unit tests of volumes and of the cloud.ca dialect: pure rules, without a store."""
