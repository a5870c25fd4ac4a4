package kinesistest

import (
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/schemas"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
)

// HTTPClient is c for the SDK's use against servers that are as near as this
// one. The SDK (smithy-go v1.28.8) closes a request's body as soon as the
// answer begins, and the body's WriteTo then fails with io.EOF; if that comes
// before net/http has seen the body's end, as happens with HTTP/1.1 over
// loopback, net/http closes the connection under the answer ("use of closed
// network connection"). Without WriteTo the end is only an end.
func HTTPClient(c *http.Client) aws.HTTPClient { return client{c} }

// OwnProtocol is an option for SubscribeToShard. Without it all subscriptions
// of a client share one decoder (smithy-go v1.28.8), which they make and set
// without a lock: a data race, if one without effect so far.
func OwnProtocol(o *kinesis.Options) { o.Protocol = awsjson.New11(schemas.Kinesis_20131202) }

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
