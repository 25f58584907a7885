# nginx of the distribution, where its own image has it. Build from the folder into which the package was unpacked.
ARG BASE
FROM ${BASE}
COPY lib/ /lib/
COPY usr/ /usr/
ENV PATH=/usr/sbin:/usr/local/bin:/usr/bin:/bin
