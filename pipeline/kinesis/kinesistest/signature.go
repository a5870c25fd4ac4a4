package kinesistest

import (
	"net/http"
	"strings"
	"time"
)

// checkSignature looks for a Signature Version 4 (its parts, not its value)
// and answers the access key ID that made it.
func (s *Server) checkSignature(r *http.Request) (string, error) {
	fields, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	if !ok {
		return "", apiErrorf(ErrMissingToken, "Missing Authentication Token")
	}
	parts := make(map[string]string)
	for field := range strings.SplitSeq(fields, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		parts[name] = value
	}
	scope := strings.Split(parts["Credential"], "/")
	if len(scope) != 5 || scope[4] != "aws4_request" || parts["Signature"] == "" || !strings.Contains(parts["SignedHeaders"], "host") {
		return "", apiErrorf("IncompleteSignatureException", "Authorization header is incomplete")
	}
	if scope[2] != s.opts.Region || scope[3] != "kinesis" {
		return "", apiErrorf(ErrInvalidSignature, "Credential should be scoped to %s/kinesis, not %s/%s", s.opts.Region, scope[2], scope[3])
	}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		return "", apiErrorf("IncompleteSignatureException", "X-Amz-Date is missing")
	}
	if skew := s.now().Sub(at).Abs(); s.opts.MaxSkew >= 0 && skew > s.opts.MaxSkew {
		return "", apiErrorf(ErrInvalidSignature, "Signature expired or not yet current: %s is %v off", at.Format(time.RFC3339), skew)
	}
	return scope[0], nil
}
