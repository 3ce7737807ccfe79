# Kafka Connect with Debezium's PostgreSQL connector, for docker-compose.yml: the Kafka of the broker's image,
# the plugin and the settings of the native start.
ARG KAFKA_VERSION=4.3.1
FROM apache/kafka:${KAFKA_VERSION}
ARG DEBEZIUM_VERSION=3.7.0.Final

USER root
# The checksum is that of stack/checksums.sha256 (a contract test compares them).
ADD --checksum=sha256:660673cbabd2f269da21409208ebd0f0d9977bd92e824fc9daa272f240e88e51 \
    https://repo1.maven.org/maven2/io/debezium/debezium-connector-postgres/${DEBEZIUM_VERSION}/debezium-connector-postgres-${DEBEZIUM_VERSION}-plugin.tar.gz \
    /tmp/debezium.tar.gz
COPY connect.properties log4j2.properties /opt/connect/
RUN mkdir -p /opt/connect/plugins \
    && tar -xzf /tmp/debezium.tar.gz -C /opt/connect/plugins \
    && rm /tmp/debezium.tar.gz \
    && printf '\nplugin.path=/opt/connect/plugins\n' >> /opt/connect/connect.properties \
    && chmod -R a+rX /opt/connect

USER appuser
ENV KAFKA_LOG4J_OPTS=-Dlog4j2.configurationFile=/opt/connect/log4j2.properties
CMD ["/opt/kafka/bin/connect-distributed.sh", "/opt/connect/connect.properties"]
