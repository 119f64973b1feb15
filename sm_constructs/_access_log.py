"""What a stage of a REST API logs of each request, as JSON: neither a body nor anything made of one."""

# Both ids find a request again, in the functions' logs and with AWS's support.
ACCESS_LOG = {
    "requestId": "$context.requestId",
    "extendedRequestId": "$context.extendedRequestId",
    "xrayTraceId": "$context.xrayTraceId",
    "requestTime": "$context.requestTime",
    "caller": "$context.identity.caller",
    "user": "$context.identity.user",
    "ip": "$context.identity.sourceIp",
    "userAgent": "$context.identity.userAgent",
    "httpMethod": "$context.httpMethod",
    "resourcePath": "$context.resourcePath",
    "protocol": "$context.protocol",
    "status": "$context.status",
    "errorType": "$context.error.responseType",
    "errorMessage": "$context.error.message",
    "integrationStatus": "$context.integration.status",
    "integrationLatency": "$context.integration.latency",
    "responseLatency": "$context.responseLatency",
    "responseLength": "$context.responseLength",
}
