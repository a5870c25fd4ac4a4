package kinesis

import (
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// whole sends requests whose bodies have no WriteTo. The SDK (smithy-go v1.28.8)
// closes a request's body as soon as the answer begins, and the body's WriteTo
// then fails with io.EOF; if that comes before net/http has seen the body's end,
// as with HTTP/1.1 and an endpoint that is near, net/http closes the connection
// under the answer. Without WriteTo the end is only an end.
type whole struct{ aws.HTTPClient }

func wholeBodies(c aws.HTTPClient) aws.HTTPClient {
	if c == nil {
		c = awshttp.NewBuildableClient()
	}
	return whole{c}
}

// Do sends a request.
func (w whole) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		r.Body = struct {
			io.Reader
			io.Closer
		}{r.Body, r.Body}
	}
	return w.HTTPClient.Do(r)
}
