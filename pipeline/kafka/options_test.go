package kafka

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"go.yaml.in/yaml/v3"

	"github.com/trailtide/trailtide/sinks/kafka/client"
)

const everyOption = `
brokers: [b1:9092, b2]
client_id: worker-1
rack: euc1-az1
dial_timeout: 3s
tls: {enabled: true, ca_file: ca.pem, cert_file: c.pem, key_file: k.pem, server_name: kafka, insecure_skip_verify: true}
sasl:
  mechanism: AWS_MSK_IAM
  username: u
  password: p
  password_file: f
  oauth: {token_file: t, token_command: [a, b], token_url: "https://x", client_id: i, client_secret: s, scopes: [x], audience: y, extensions: {k: v}}
  aws: {region: eu-west-1, profile: p, role_arn: "arn:aws:iam::111122223333:role/r", external_id: e}
topics: [a, b]
topic_regex: x.*
group: g
instance_id: w-1
start: "2026-03-01T12:00:00Z"
isolation: read_uncommitted
idle_after: 2m
session_timeout: 30s
drain_within: 5s
max_poll_records: 10
fetch_max_bytes: 1000
lag_interval: 5s
metadata_min_age: 250ms
`

// Every option that a document may set is set by one, and no key is unknown.
func TestYAML(t *testing.T) {
	var o Options
	d := yaml.NewDecoder(strings.NewReader(everyOption))
	d.KnownFields(true)
	if err := d.Decode(&o); err != nil {
		t.Fatal(err)
	}
	want := Options{
		Topics: []string{"a", "b"}, TopicRegex: "x.*", Group: "g", InstanceID: "w-1", Start: "2026-03-01T12:00:00Z",
		Isolation: "read_uncommitted", IdleAfter: 2 * time.Minute, SessionTimeout: 30 * time.Second, DrainWithin: 5 * time.Second, MaxPollRecords: 10,
		FetchMaxBytes: 1000, LagInterval: 5 * time.Second, MetadataMinAge: 250 * time.Millisecond,
		Client: client.Options{
			Brokers: []string{"b1:9092", "b2"}, ClientID: "worker-1", Rack: "euc1-az1", DialTimeout: 3 * time.Second,
			TLS: client.TLS{Enabled: true, CAFile: "ca.pem", CertFile: "c.pem", KeyFile: "k.pem", ServerName: "kafka", InsecureSkipVerify: true},
			SASL: client.SASL{
				Mechanism: client.AWSMSKIAM, Username: "u", Password: "p", PasswordFile: "f",
				OAuth: client.OAuth{
					TokenFile: "t", TokenCommand: []string{"a", "b"}, TokenURL: "https://x", ClientID: "i", ClientSecret: "s",
					Scopes: []string{"x"}, Audience: "y", Extensions: map[string]string{"k": "v"},
				},
				AWS: client.AWS{Region: "eu-west-1", Profile: "p", RoleARN: "arn:aws:iam::111122223333:role/r", ExternalID: "e"},
			},
		},
	}
	if diff := cmp.Diff(want, o); diff != "" {
		t.Errorf("decoded options (-want +got):\n%s", diff)
	}
	unset(t, "", reflect.ValueOf(o))

	d = yaml.NewDecoder(strings.NewReader("brokers: [a]\ntopic: x\n"))
	d.KnownFields(true)
	if err := d.Decode(&o); err == nil || !strings.Contains(err.Error(), "topic") {
		t.Errorf("an unknown key gives %v", err)
	}
}

// unset finds fields that the document has not set.
func unset(t *testing.T, path string, v reflect.Value) {
	t.Helper()
	for i := range v.NumField() {
		f := v.Type().Field(i)
		switch {
		case f.Tag.Get("yaml") == "-":
		case f.Type.Kind() == reflect.Struct:
			unset(t, path+f.Name+".", v.Field(i))
		case v.Field(i).IsZero():
			t.Errorf("%s%s is not in the document", path, f.Name)
		}
	}
}

func TestValidate(t *testing.T) {
	good := Options{Client: client.Options{Brokers: []string{"b"}}, Topics: []string{"a"}}
	if err := good.Validate(); err != nil {
		t.Errorf("good options: %v", err)
	}
	bad := Options{
		Topics: []string{""}, TopicRegex: "(", Start: "yesterday", Isolation: "dirty", IdleAfter: -1, SessionTimeout: time.Millisecond,
		LagInterval: 1, MetadataMinAge: -1, MaxPollRecords: -1, FetchMaxBytes: 1 << 30,
	}
	err := bad.Validate()
	if err == nil {
		t.Fatal("bad options are accepted")
	}
	want := []string{
		"brokers: at least one", "topics and topic_regex: set one", "topics: a name is empty", "topic_regex: ", `start: "yesterday"`,
		`isolation: "dirty"`, "idle_after: ", "session_timeout: ", "lag_interval: ", "metadata_min_age: ", "max_poll_records: ", "fetch_max_bytes: ",
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q is not told: %v", w, err)
		}
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != len(want) {
		t.Errorf("%d problems are told, want %d: %v", n, len(want), err)
	}
	if _, err := New(bad); err == nil {
		t.Error("New accepts bad options")
	}
	if err := (&Options{Client: good.Client}).Validate(); err == nil || !strings.Contains(err.Error(), "name at least one topic") {
		t.Errorf("no topics: %v", err)
	}
}

// Options at their limits make a client.
func TestClientTakesTheOptions(t *testing.T) {
	for _, o := range []Options{
		{},
		{SessionTimeout: 100 * time.Millisecond, FetchMaxBytes: 1, MaxPollRecords: 1, LagInterval: time.Millisecond, IdleAfter: 1},
		{FetchMaxBytes: maxFetchBytes, InstanceID: "x", SessionTimeout: time.Hour, Isolation: readUncommitted},
	} {
		o.Client.Brokers = []string{"127.0.0.1:1"}
		o.Topics = []string{"a"}
		s, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start(t.Context(), nil); err != nil {
			t.Errorf("%+v: %v", o, err)
			continue
		}
		if err := s.Start(t.Context(), nil); err == nil {
			t.Error("a second Start is accepted")
		}
		if err := s.Health(); err == nil {
			t.Error("healthy without a broker")
		}
		_ = s.Close(t.Context()) // there is no broker to leave
	}
}

func TestStartRefusesForeignPositions(t *testing.T) {
	good := position{offset: 1}.encode()
	for name, committed := range map[string]map[string][]byte{
		"a file":        {"trail.json": good},
		"no number":     {"a/x": good},
		"padded number": {"a/01": good},
		"empty":         {"a/0": nil},
		"newer":         {"a/0": append([]byte{positionVersion + 1}, good[1:]...)},
		"short":         {"a/0": good[:len(good)-1]},
		"long":          {"a/0": append(good[:len(good):len(good)], 0)},
	} {
		o := Options{Client: client.Options{Brokers: []string{"127.0.0.1:1"}}, Topics: []string{"a"}}
		s, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start(t.Context(), committed); err == nil || !strings.Contains(err.Error(), "committed position") {
			t.Errorf("%s: %v", name, err)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Errorf("%s: close: %v", name, err)
		}
	}
}

func FuzzPosition(f *testing.F) {
	f.Add(position{offset: 0, epoch: -1}.encode())
	f.Add(position{offset: 1<<62 - 1, epoch: 1<<31 - 1, topic: kadm.TopicID{1, 2, 3}}.encode())
	f.Add([]byte{})
	f.Add([]byte{positionVersion, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePosition(b)
		if err != nil {
			return
		}
		if p.offset < 0 || p.epoch < -1 {
			t.Fatalf("decoded %+v", p)
		}
		again, err := decodePosition(p.encode())
		if err != nil || again != p {
			t.Fatalf("%+v comes back as %+v, %v", p, again, err)
		}
	})
}

func FuzzPartition(f *testing.F) {
	f.Add("a/0")
	f.Add("a/b/12")
	f.Add("/1")
	f.Add("a/-1")
	f.Fuzz(func(t *testing.T, s string) {
		tp, err := parsePartition(s)
		if err == nil && tp.String() != s {
			t.Fatalf("%q comes back as %q", s, tp)
		}
	})
}
