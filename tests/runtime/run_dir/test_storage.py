"""Tests of storage URLs."""

from __future__ import annotations

import pytest

from trialrun.run_dir.storage import join_url, parent_url, relative_name


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        ("s3://bucket/studies", "s3://bucket/studies/my_job-1"),
        ("s3://bucket", "s3://bucket/my_job-1"),
        ("s3://bucket/a/b?region=x&scheme=http", "s3://bucket/a/b/my_job-1?region=x&scheme=http"),
        ("file:///shared", "file:///shared/my_job-1"),
        ("memory://x", "memory://x/my_job-1"),
        ("/shared/results", "/shared/results/my_job-1"),
    ],
)
def test_a_run_lies_beneath_its_storage_and_the_storage_above_it(url: str, whole: str) -> None:
    assert join_url(url, "my_job-1") == whole
    assert parent_url(whole) == url
    if "://" in url:
        assert join_url(f"{url}/" if "?" not in url else url, "my_job-1") == whole


@pytest.mark.parametrize("root", ["bucket/studies", "/bucket/studies/"])
@pytest.mark.parametrize("path", ["bucket/studies/a/b.json", "/bucket/studies/a/b.json"])
def test_a_file_is_named_from_its_root_on(root: str, path: str) -> None:
    assert relative_name(root, path) == "a/b.json"
