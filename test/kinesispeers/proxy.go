//go:build unix

package kinesispeers

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
)

// proxy forwards to a peer and begins its event streams with the frame that
// the protocol wants there and kinesis-local does not send.
func proxy(t testing.TB, peer string) string {
	t.Helper()
	to, err := url.Parse(peer)
	if err != nil {
		t.Fatal(err)
	}
	var initial eventstream.Message
	initial.Headers.Set(":message-type", eventstream.StringValue("event"))
	initial.Headers.Set(":event-type", eventstream.StringValue("initial-response"))
	initial.Headers.Set(":content-type", eventstream.StringValue("application/x-amz-json-1.1"))
	initial.Payload = []byte("{}")
	var frame bytes.Buffer
	if err := eventstream.NewEncoder().Encode(&frame, initial); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	srv := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport:     transport,
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
		ModifyResponse: func(resp *http.Response) error {
			if resp.StatusCode == http.StatusOK && strings.HasSuffix(resp.Request.Header.Get("X-Amz-Target"), ".SubscribeToShard") {
				resp.Body = prefixed{io.MultiReader(bytes.NewReader(frame.Bytes()), resp.Body), resp.Body}
				resp.Header.Del("Content-Length")
				resp.ContentLength = -1
			}
			return nil
		},
	})
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
		transport.CloseIdleConnections()
	})
	return srv.URL
}

// prefixed is a body with something before it.
type prefixed struct {
	io.Reader
	io.Closer
}
