package window

import (
	"math"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

type markModel struct {
	open  map[string]bool
	times map[string]int64
	value int64
	top   int64 // greatest time of a partition that was closed
	ended bool
}

func (mo *markModel) Close(part string) {
	t, known := mo.times[part]
	if !known {
		return
	}
	mo.top = max(mo.top, t)
	mo.ended = mo.ended || mo.open[part] && len(mo.open) == 1
	delete(mo.open, part)
	delete(mo.times, part)
}

func (mo *markModel) clone() *markModel {
	c := &markModel{open: map[string]bool{}, times: map[string]int64{}, value: mo.value, top: mo.top, ended: mo.ended}
	for k := range mo.open {
		c.open[k] = true
	}
	for k, v := range mo.times {
		c.times[k] = v
	}
	return c
}

func (mo *markModel) Open(part string, floor int64) {
	if t, ok := mo.times[part]; ok {
		floor = max(floor, t)
	}
	mo.open[part], mo.times[part], mo.ended = true, floor, false
}

func (mo *markModel) Value(lateness time.Duration) int64 {
	least := int64(math.MaxInt64)
	for p := range mo.open {
		least = min(least, mo.times[p])
	}
	if len(mo.open) > 0 && least != math.MinInt64 {
		mo.value = max(mo.value, least-int64(lateness))
	}
	if mo.ended && mo.top != math.MinInt64 {
		mo.value = max(mo.value, mo.top-int64(lateness))
	}
	return mo.value
}

func TestWatermarkIsTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const lateness = 7
		w := NewWatermark(lateness)
		mo := &markModel{open: map[string]bool{}, times: map[string]int64{}, value: math.MinInt64, top: math.MinInt64}
		kept, state := mo.clone(), string(w.AppendState(nil))
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			part := rapid.SampledFrom([]string{"", "a", "b", "c", "d", "e", "f"}).Draw(t, "part")
			at := int64(rapid.IntRange(-50, 50).Draw(t, "time"))
			switch rapid.IntRange(0, 12).Draw(t, "op") {
			case 0:
				floor := rapid.SampledFrom([]int64{math.MinInt64, at}).Draw(t, "floor")
				w.Open(part, floor)
				mo.Open(part, floor)
			case 1:
				w.Close(part)
				mo.Close(part)
			case 2:
				w.Idle(part, at)
				if mo.open[part] {
					mo.times[part] = max(mo.times[part], at)
				}
			case 3:
				w.Rollback()
				mo = kept.clone()
				if got := string(w.AppendState(nil)); got != state {
					t.Fatalf("state after a rollback is %x, was %x", got, state)
				}
			case 4:
				if now := string(w.AppendState(nil)); !w.Dirty() && now != state {
					t.Fatalf("clean, but %x was %x", now, state)
				}
				w.Commit()
				kept, state = mo.clone(), string(w.AppendState(nil))
			case 5:
				if !rapid.Bool().Draw(t, "restart") {
					continue
				}
				w.Commit()
				fresh := NewWatermark(lateness)
				if err := fresh.Load(w.AppendState(nil)); err != nil {
					t.Fatal(err)
				}
				w = fresh
				mo.open, mo.ended = map[string]bool{}, false
				kept, state = mo.clone(), string(w.AppendState(nil))
			case 6, 7, 8:
				if got, want := w.Value(), mo.Value(lateness); got != want {
					t.Fatalf("watermark %d, want %d with %v", got, want, mo.times)
				}
			default:
				w.Observe(part, at)
				mo.Open(part, at)
			}
			for i, p := range w.heap {
				if up := w.heap[max(0, i-1)/2]; up.time > p.time {
					t.Fatalf("partition %q is under a later one", p.name)
				}
			}
			times := map[string]int64{}
			for name, p := range w.parts {
				times[name] = p.time
				if mo.open[name] != (p.at != closed) || p.at != closed && w.heap[p.at] != p {
					t.Fatalf("partition %q stands at %d", name, p.at)
				}
			}
			if d := gocmp.Diff(mo.times, times); d != "" {
				t.Fatalf("times (-want +got):\n%s", d)
			}
		}
	})
}

func TestWatermarkStays(t *testing.T) {
	w := NewWatermark(10)
	if got := w.Value(); got != math.MinInt64 {
		t.Errorf("before anything is known it is %d", got)
	}
	w.Open("a", math.MinInt64)
	w.Open("b", math.MinInt64)
	w.Observe("a", 100)
	if got := w.Value(); got != math.MinInt64 {
		t.Errorf("while one partition is unknown it is %d", got)
	}
	w.Idle("b", 200)
	if got := w.Value(); got != 90 {
		t.Errorf("it is %d, want 90", got)
	}
	w.Open("c", math.MinInt64)
	w.Observe("a", 300)
	w.Close("a")
	w.Close("b")
	if got := w.Value(); got != 90 {
		t.Errorf("while a partition is open it is %d, want 90", got)
	}
	w.Close("c")
	if got := w.Value(); got != 290 {
		t.Errorf("with no partitions left it is %d, want 290", got)
	}
	again := NewWatermark(10)
	if err := again.Load(w.AppendState(nil)); err != nil {
		t.Fatal(err)
	}
	again.Open("d", 295)
	again.Close("d")
	if got := again.Value(); got != 290 {
		t.Errorf("after a restart it is %d, want 290", got)
	}
}

// TestWatermarkReadsTheFirstFormat loads a state as the first version wrote it.
func TestWatermarkReadsTheFirstFormat(t *testing.T) {
	w := NewWatermark(0)
	if err := w.Load([]byte{1, 20, 1, 1, 'a', 40}); err != nil {
		t.Fatal(err)
	}
	if got := w.Value(); got != 10 {
		t.Errorf("it is %d, want 10", got)
	}
}

func TestWatermarkRefusesWhatItCannotRead(t *testing.T) {
	w := NewWatermark(0)
	w.Observe("part", 5)
	good := w.AppendState(nil)
	for i := range good {
		if err := NewWatermark(0).Load(good[:i]); err == nil {
			t.Errorf("%d of %d bytes are loaded", i, len(good))
		}
	}
	if err := NewWatermark(0).Load(append(good, 0)); err == nil {
		t.Error("a byte too many is loaded")
	}
	good[0]++
	if err := NewWatermark(0).Load(good); err == nil {
		t.Error("a newer version is loaded")
	}
}
