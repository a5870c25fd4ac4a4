package kinesis

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
)

// code is the service's word for an error, "" if it is not the service's.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// throttled says whether a request was refused because there were too many.
func throttled(err error) bool {
	switch code(err) {
	case "ProvisionedThroughputExceededException", "LimitExceededException", "KMSThrottlingException",
		"ThrottlingException", "Throttling", "RequestLimitExceeded", "TooManyRequestsException", "SlowDown":
		return true
	}
	return false
}

// notFound says whether the stream, the shard or the consumer does not exist.
func notFound(err error) bool {
	var e *types.ResourceNotFoundException
	return errors.As(err, &e)
}

// invalid says whether the request can never succeed as it is.
func invalid(err error) bool {
	c := code(err)
	return c == "InvalidArgumentException" || c == "ValidationException"
}

// expired says whether the iterator or the token of a listing is too old.
func expired(err error) bool {
	c := code(err)
	return c == "ExpiredIteratorException" || c == "ExpiredNextTokenException"
}

// inUse says whether a resource is busy: a subscription that is too young, a
// consumer or a stream that is being made.
func inUse(err error) bool { return code(err) == "ResourceInUseException" }

// refused says whether the credentials are of no use (any more).
func refused(err error) bool {
	switch code(err) {
	case "ExpiredTokenException", "ExpiredToken", "UnrecognizedClientException", "InvalidClientTokenId",
		"InvalidSignatureException", "MissingAuthenticationTokenException", "TokenRefreshRequired":
		return true
	}
	return false
}

// ended says whether err only tells that ctx has ended.
func ended(ctx context.Context, err error) bool { return err != nil && ctx.Err() != nil }
