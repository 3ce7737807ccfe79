# Kafka Connect with Debezium's PostgreSQL connector, for docker-compose.yml: the Kafka of the broker's image,
# the plugin and the settings of the native start. Maven brings the plugin by its coordinates.
ARG KAFKA_VERSION=4.3.1
FROM maven:3.9-eclipse-temurin-21 AS plugin
ARG DEBEZIUM_VERSION=3.7.0.Final
# The checksum is that of stack/checksums.sha256 (a contract test compares them).
ARG DEBEZIUM_SHA256=660673cbabd2f269da21409208ebd0f0d9977bd92e824fc9daa272f240e88e51
RUN mvn -q dependency:copy -DoutputDirectory=/plugins \
        -Dartifact=io.debezium:debezium-connector-postgres:${DEBEZIUM_VERSION}:tar.gz:plugin \
    && echo "${DEBEZIUM_SHA256}  /plugins/debezium-connector-postgres-${DEBEZIUM_VERSION}-plugin.tar.gz" | sha256sum -c - \
    && tar -xzf /plugins/*.tar.gz -C /plugins \
    && rm /plugins/*.tar.gz

FROM apache/kafka:${KAFKA_VERSION}
USER root
COPY --from=plugin /plugins /opt/connect/plugins
COPY connect.properties log4j2.properties /opt/connect/
RUN printf '\nplugin.path=/opt/connect/plugins\n' >> /opt/connect/connect.properties \
    && chmod -R a+rX /opt/connect

USER appuser
ENV KAFKA_LOG4J_OPTS=-Dlog4j2.configurationFile=/opt/connect/log4j2.properties
CMD ["/opt/kafka/bin/connect-distributed.sh", "/opt/connect/connect.properties"]
