package outbox

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestProgressFormat(t *testing.T) {
	p := &progress{place: 7, next: 20, open: []attempt{{offset: 7, attempts: 3, single: 1, first: time.UnixMilli(1700000000123).UTC()}, {offset: 9}}}
	const want = `{"v":1,"place":7,"next":20,"open":[[7,3,1,1700000000123],[9,0,0,0]]}`
	if got := string(p.encode()); got != want {
		t.Errorf("written %s, want %s", got, want)
	}
	back, err := parseProgress([]byte(want))
	if err != nil || !cmp.Equal(p, back, cmp.AllowUnexported(progress{}, attempt{})) {
		t.Errorf("read %+v, %v", back, err)
	}
	for offset, want := range map[int64]bool{7: false, 8: true, 9: false, 19: true, 20: false} {
		if a, done := back.find(offset); done != want || (a != nil) != (offset == 7 || offset == 9) {
			t.Errorf("offset %d: %+v, done %t", offset, a, done)
		}
	}
	if _, err := parseProgress([]byte(`{"v":2,"place":0,"next":0}`)); !errors.Is(err, errNewer) {
		t.Errorf("a newer version: %v", err)
	}
	for _, bad := range []string{``, `{}`, `{"v":1,"place":-1,"next":3}`, `{"v":1,"place":4,"next":3}`, `{"v":1,"place":1,"next":3,"open":[[3,0,0,0]]}`, `{"v":1,"place":1,"next":9,"open":[[3,0,0,0],[3,0,0,0]]}`} {
		if p, err := parseProgress([]byte(bad)); err == nil {
			t.Errorf("%s: %+v", bad, p)
		}
	}
}

func FuzzProgress(f *testing.F) {
	f.Add([]byte(`{"v":1,"place":7,"next":20,"open":[[7,3,1,1700000000123],[9,0,0,0]]}`))
	f.Add([]byte(`{"v":1,"place":0,"next":0}`))
	f.Add([]byte(`{"v":9}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parseProgress(b)
		if err != nil {
			return
		}
		back, err := parseProgress(p.encode())
		if err != nil || !cmp.Equal(p, back, cmp.AllowUnexported(progress{}, attempt{})) {
			t.Fatalf("%s became %s: %v", b, p.encode(), err)
		}
	})
}
