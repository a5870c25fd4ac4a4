package kinesistest

import (
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// HTTPClient is c for the SDK's use against servers that are as near as this
// one. The SDK (smithy-go v1.28.8) closes a request's body as soon as the
// answer begins, and the body's WriteTo then fails with io.EOF; if that comes
// before net/http has seen the body's end, as happens with HTTP/1.1 over
// loopback, net/http closes the connection under the answer ("use of closed
// network connection"). Without WriteTo the end is only an end.
func HTTPClient(c *http.Client) aws.HTTPClient { return client{c} }

type client struct{ *http.Client }

// Do sends a request.
func (c client) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		r.Body = struct {
			io.Reader
			io.Closer
		}{r.Body, r.Body}
	}
	return c.Client.Do(r)
}
