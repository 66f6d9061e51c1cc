"""Tests of the chassis: without servers where its rules are pure, on PostgreSQL and NATS where they are not."""
