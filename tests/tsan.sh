# What has threads, under the thread sanitizer.
exec make tsan
