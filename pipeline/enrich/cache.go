package enrich

import (
	"strings"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
)

// Bounds of a cache. A key that falls on the place of another takes it.
const (
	cacheSlots  = 1 << 14
	maxCacheKey = 256 // bytes; longer keys are not remembered
)

// cache remembers answers by key. Readers and writers take no lock.
type cache[T any] struct {
	slots []atomic.Pointer[answer[T]] // a power of two
}

type answer[T any] struct {
	key   string
	value T
}

func newCache[T any]() *cache[T] {
	return &cache[T]{slots: make([]atomic.Pointer[answer[T]], cacheSlots)}
}

// get returns what is remembered of key, or what find says of it, which is
// remembered from then on. key is borrowed.
func (c *cache[T]) get(key string, find func(key string) T) T {
	if len(key) > maxCacheKey {
		return find(key)
	}
	slot := &c.slots[xxhash.Sum64String(key)&(cacheSlots-1)]
	if a := slot.Load(); a != nil && a.key == key {
		return a.value
	}
	key = strings.Clone(key)
	a := &answer[T]{key: key, value: find(key)}
	slot.Store(a)
	return a.value
}
