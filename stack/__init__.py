"""The real services without containers: PostgreSQL, Kafka, Kafka Connect with Debezium, Apicurio Registry.

Stands below everything else: whoever needs addresses asks `stack.environment.load()`. The versions are
those of pom.xml, the settings those of settings.py, and docker-compose.yml is tested to agree with both.
It never imports the platform (streams' error tree excepted) and never listens beyond 127.0.0.1.
"""
