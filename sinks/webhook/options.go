// Package webhook posts alerts to an HTTP endpoint as JSON, signed. What a
// receiver needs to know is in docs/webhooks.md.
package webhook

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/trailtide/trailtide/sinks"
	"github.com/trailtide/trailtide/sinks/transport"
)

// Options of the sink.
type Options struct {
	// URL to post to: https, or http to the loopback. It may hold secrets (a
	// token in the path, a password) and is never printed whole.
	URL sinks.Secret `yaml:"url"`
	// AllowHTTP permits http to other hosts: alerts then travel readable.
	AllowHTTP bool `yaml:"allow_http"`
	// Headers are added to each request. The sink's own cannot be replaced.
	Headers map[string]sinks.Secret `yaml:"headers"`
	// Secrets sign each request, one signature for each: two during a rotation,
	// none for no signature.
	Secrets []sinks.Secret `yaml:"secrets"`
	// Batch is how many alerts go into one request, as a JSON array. Default 0:
	// one alert a request, as an object.
	Batch int `yaml:"batch"`
	// Concurrency is how many requests are under way at once. The states of one
	// alert never overtake each other. Default 4.
	Concurrency int `yaml:"concurrency"`
	// Timeout of one request, the answer's body included. Default 10 s.
	Timeout time.Duration `yaml:"timeout"`
	// MaxBytes bounds the JSON of one alert; raw events are left out of larger
	// ones. Default 1 MiB.
	MaxBytes int `yaml:"max_bytes"`
	// TLS of an https URL; Enabled follows from the URL.
	TLS transport.TLS `yaml:"tls"`
	// Proxy is the URL of an HTTP proxy. Default: the environment's HTTPS_PROXY,
	// HTTP_PROXY and NO_PROXY.
	Proxy sinks.Secret `yaml:"proxy"`
}

// The headers of the sink's own.
const (
	headerTimestamp   = "X-Trailtide-Timestamp"
	headerSignature   = "X-Trailtide-Signature"
	headerIdempotency = "Idempotency-Key"
)

func reservedHeaders() []string {
	return []string{
		headerTimestamp, headerSignature, headerIdempotency, "Content-Type", "Content-Length", "Transfer-Encoding", "Connection",
		"Host", "Trailer", "Upgrade",
	}
}

// Validate reports every problem at once. It opens no file and no connection.
func (o *Options) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	u, err := url.Parse(o.URL.Reveal())
	switch {
	case err != nil || u.Host == "":
		bad("url: want https://HOST/PATH")
	case u.Scheme == "https":
	case u.Scheme != "http":
		bad("url: scheme %q is not https", u.Scheme)
	case !o.AllowHTTP && !loopback(u.Hostname()):
		bad("url: http to %s would send alerts readable; use https, or set allow_http", u.Hostname())
	}
	if err == nil && u.Scheme == "http" && o.TLS != (transport.TLS{}) {
		bad("tls: has settings, but the url is not https")
	}
	for name, value := range o.Headers {
		switch {
		case !token(name) || strings.ContainsAny(value.Reveal(), "\r\n\x00"):
			bad("headers: %q is not a header", name)
		case slices.Contains(reservedHeaders(), http.CanonicalHeaderKey(name)):
			bad("headers: %s is set by the sink itself", name)
		}
	}
	if slices.Contains(o.Secrets, "") {
		bad("secrets: an empty one signs nothing")
	}
	for name, n := range map[string]int{
		"batch": o.Batch, "concurrency": o.Concurrency, "timeout": int(o.Timeout), "max_bytes": o.MaxBytes,
	} {
		if n < 0 {
			bad("%s: must not be negative", name)
		}
	}
	if o.Concurrency > 64 {
		bad("concurrency: must not exceed 64")
	}
	if p, err := url.Parse(o.Proxy.Reveal()); err != nil || o.Proxy != "" && p.Host == "" {
		bad("proxy: want http://HOST:PORT")
	}
	tls := o.TLS
	tls.Enabled = true
	return errors.Join(append(errs, tls.Validate())...)
}

// Warnings are what a careful operator should be told at every start.
func (o *Options) Warnings() []string {
	var w []string
	if o.TLS.InsecureSkipVerify {
		w = append(w, transport.InsecureWarning)
	}
	if u, err := url.Parse(o.URL.Reveal()); err == nil && u.Scheme == "http" && !loopback(u.Hostname()) {
		w = append(w, "url: http to "+u.Hostname()+" sends alerts readable for anybody on the way")
	}
	return w
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// token reports whether s can be a header's name. Semantics: RFC 9110 §5.6.2.
func token(s string) bool {
	for _, c := range s {
		alnum := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !alnum && !strings.ContainsRune("!#$%&'*+-.^_`|~", c) {
			return false
		}
	}
	return s != ""
}
