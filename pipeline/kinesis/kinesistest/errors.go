package kinesistest

import (
	"fmt"
	"net/http"
)

// The error codes of the service, as the SDK names them (ErrorCode), for
// faults and for tests.
const (
	ErrResourceNotFound  = "ResourceNotFoundException"
	ErrResourceInUse     = "ResourceInUseException"
	ErrInvalidArgument   = "InvalidArgumentException"
	ErrValidation        = "ValidationException"
	ErrLimitExceeded     = "LimitExceededException"
	ErrThroughput        = "ProvisionedThroughputExceededException"
	ErrExpiredIterator   = "ExpiredIteratorException"
	ErrExpiredNextToken  = "ExpiredNextTokenException"
	ErrKMSThrottling     = "KMSThrottlingException"
	ErrKMSAccessDenied   = "KMSAccessDeniedException"
	ErrKMSDisabled       = "KMSDisabledException"
	ErrKMSInvalidState   = "KMSInvalidStateException"
	ErrKMSNotFound       = "KMSNotFoundException"
	ErrAccessDenied      = "AccessDeniedException"
	ErrExpiredToken      = "ExpiredTokenException"
	ErrUnrecognizedToken = "UnrecognizedClientException"
	ErrMissingToken      = "MissingAuthenticationTokenException"
	ErrInvalidSignature  = "InvalidSignatureException"
	ErrUnknownOperation  = "UnknownOperationException"
	ErrSerialization     = "SerializationException"
	ErrInternalFailure   = "InternalFailureException"
	ErrUnavailable       = "ServiceUnavailableException"
	ErrThrottling        = "ThrottlingException"
)

// apiError is an answer with an error code.
type apiError struct {
	Code    string
	Message string
}

func (e *apiError) Error() string { return e.Code + ": " + e.Message }

// status is the HTTP status of an error: 400 but for the service's own faults.
func (e *apiError) status() int {
	switch e.Code {
	case ErrInternalFailure:
		return http.StatusInternalServerError
	case ErrUnavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusBadRequest
	}
}

func apiErrorf(code, format string, args ...any) *apiError {
	return &apiError{Code: code, Message: fmt.Sprintf(format, args...)}
}

func invalidf(format string, args ...any) error {
	return apiErrorf(ErrInvalidArgument, format, args...)
}
