package kinesis

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func anyPosition(t *rapid.T) position {
	p := position{kind: kind(rapid.IntRange(0, int(numKinds)-1).Draw(t, "kind")), created: rapid.Int64Min(0).Draw(t, "created")}
	switch p.kind {
	case atTime:
		p.millis = rapid.Int64().Draw(t, "millis")
	case atRecord, finished:
		p.sequence = rapid.StringMatching(`[0-9]{1,56}`).Draw(t, "sequence")
		p.sub, p.whole = rapid.Int32Min(0).Draw(t, "sub"), rapid.Bool().Draw(t, "whole")
	case atHorizon, numKinds:
	}
	return p
}

func TestPositionRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPosition(t)
		enc := p.encode()
		got, err := decodePosition(enc)
		if err != nil || got != p {
			t.Fatalf("%+v became %+v, %v", p, got, err)
		}
		for n := range enc {
			if _, err := decodePosition(enc[:n]); err == nil {
				t.Fatalf("the first %d of %d bytes are taken for a position", n, len(enc))
			}
		}
		if _, err := decodePosition(append(enc, 0)); err == nil {
			t.Fatal("a byte too many is taken")
		}
	})
}

func TestPositionOfNewerFormat(t *testing.T) {
	_, err := decodePosition([]byte{2, 0, 0})
	if err == nil || err.Error() != "position has format 2, this version reads 1" {
		t.Errorf("%v", err)
	}
}

func FuzzDecodePosition(f *testing.F) {
	f.Add(position{kind: atRecord, created: 5, sequence: "49590338271490256608559692538361571095921575989136588898", sub: 3}.encode())
	f.Add(position{kind: finished}.encode())
	f.Add([]byte{1, 1, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePosition(b)
		if err != nil {
			return
		}
		if again, err := decodePosition(p.encode()); err != nil || again != p {
			t.Fatalf("%+v became %+v, %v", p, again, err)
		}
	})
}

func TestCompareSequences(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.StringMatching(`0{0,2}[0-9]{1,30}`).Draw(t, "a"), rapid.StringMatching(`0{0,2}[0-9]{1,30}`).Draw(t, "b")
		x, _ := new(big.Int).SetString(a, 10)
		y, _ := new(big.Int).SetString(b, 10)
		if got, want := compareSequences(a, b), x.Cmp(y); got != want {
			t.Fatalf("%s, %s: %d, want %d", a, b, got, want)
		}
	})
}

func TestCovers(t *testing.T) {
	inside := position{kind: atRecord, sequence: "100", sub: 2}
	whole := position{kind: atRecord, sequence: "100", sub: 2, whole: true}
	for _, tt := range []struct {
		p        position
		sequence string
		sub      int32
		want     bool
	}{
		{inside, "99", 9, true},
		{inside, "100", 2, true},
		{inside, "100", 3, false},
		{whole, "100", 3, true},
		{inside, "101", 0, false},
		{whole, "1000", 0, false},
		{position{}, "1", 0, false},
		{position{kind: atTime}, "1", 0, false},
		{position{kind: finished}, "1", 0, true},
	} {
		if got := tt.p.covers(tt.sequence, tt.sub); got != tt.want {
			t.Errorf("%+v covers %s:%d: %v", tt.p, tt.sequence, tt.sub, got)
		}
	}
}

func TestParsePartition(t *testing.T) {
	stream, shard, err := parsePartition("123456789012:us-east-1:trail/shardId-000000000001")
	if err != nil || stream != "123456789012:us-east-1:trail" || shard != "shardId-000000000001" {
		t.Errorf("%q, %q, %v", stream, shard, err)
	}
	for _, s := range []string{"", "/", "trail", "trail/", "/shard"} {
		if _, _, err := parsePartition(s); err == nil {
			t.Errorf("%q is taken for a partition", s)
		}
	}
}
