package leasetest

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
)

// Item is an item by the names of its attributes.
type Item = map[string]types.AttributeValue

// DB holds tables. Safe for concurrent use.
type DB struct {
	// PageItems is the most items of one page of a Scan. Default 100.
	PageItems int
	// CreateTime is how long a new table is CREATING. Default 0.
	CreateTime time.Duration

	mu      sync.Mutex
	tables  map[string]*table
	writes  map[string]int
	refused int
	changed func(op string, before, after Item)
}

type table struct {
	key    string
	active time.Time
	items  map[string]Item
}

// New makes an empty DB.
func New() *DB {
	return &DB{tables: map[string]*table{}, writes: map[string]int{}}
}

// Writes is how many PutItem, UpdateItem and DeleteItem were asked since the
// last call, and how many of them failed their condition.
func (db *DB) Writes() (asked, refused int) {
	db.mu.Lock()
	defer db.mu.Unlock()
	for _, n := range db.writes {
		asked += n
	}
	refused = db.refused
	clear(db.writes)
	db.refused = 0
	return asked, refused
}

// OnChange makes f see every change, in order; before or after is nil where an
// item was made or deleted. f must not keep or change the items, nor call the DB.
func (db *DB) OnChange(f func(op string, before, after Item)) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.changed = f
}

// Items are copies of a table's items, by their keys.
func (db *DB) Items(name string) map[string]Item {
	db.mu.Lock()
	defer db.mu.Unlock()
	t := db.tables[name]
	if t == nil {
		return nil
	}
	all := make(map[string]Item, len(t.items))
	for key, item := range t.items {
		all[key] = maps.Clone(item)
	}
	return all
}

func (db *DB) createTable(name, key string) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.tables[name] != nil {
		return &types.ResourceInUseException{Message: new("Table already exists: " + name)}
	}
	db.tables[name] = &table{key: key, active: time.Now().Add(db.CreateTime), items: map[string]Item{}}
	return nil
}

func (db *DB) describe(name string) (key string, status types.TableStatus, err error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	t := db.tables[name]
	if t == nil {
		return "", "", notFound(name)
	}
	if time.Now().Before(t.active) {
		return t.key, types.TableStatusCreating, nil
	}
	return t.key, types.TableStatusActive, nil
}

// write is one conditional write, and returns the item after it. change gets a
// copy of the item (nil: there is none) and answers what is to be there (nil: nothing).
func (db *DB) write(op, name string, key Item, condition string, e expression, change func(Item) (Item, error)) (after Item, err error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	t, k, err := db.find(name, key)
	if err != nil {
		return nil, err
	}
	holds, err := e.condition(condition)
	if err != nil {
		return nil, err
	}
	db.writes[op]++
	before := t.items[k]
	if !holds(before) {
		db.refused++
		return nil, &types.ConditionalCheckFailedException{Message: new("The conditional request failed")}
	}
	after, err = change(maps.Clone(before))
	if err != nil {
		return nil, err
	}
	if after == nil {
		delete(t.items, k)
	} else {
		t.items[k] = after
	}
	if db.changed != nil && (before != nil || after != nil) {
		db.changed(op, before, after)
	}
	return maps.Clone(after), nil
}

func (db *DB) get(name string, key Item) (Item, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	t, k, err := db.find(name, key)
	if err != nil {
		return nil, err
	}
	return maps.Clone(t.items[k]), nil
}

// scan is one page after the key start, in an order that is none of the keys'.
func (db *DB) scan(name string, start Item, limit int) (items []Item, last Item, err error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	t := db.tables[name]
	if t == nil || time.Now().Before(t.active) {
		return nil, nil, notFound(name)
	}
	keys := slices.SortedFunc(maps.Keys(t.items), byHash)
	if start != nil {
		_, after, err := db.find(name, start)
		if err != nil {
			return nil, nil, err
		}
		at, _ := slices.BinarySearchFunc(keys, after, byHash)
		for at < len(keys) && byHash(keys[at], after) <= 0 {
			at++
		}
		keys = keys[at:]
	}
	page := cmp.Or(db.PageItems, 100)
	if limit > 0 {
		page = min(page, limit)
	}
	for i, k := range keys {
		if i == page {
			return items, Item{t.key: &types.AttributeValueMemberS{Value: keys[i-1]}}, nil
		}
		items = append(items, maps.Clone(t.items[k]))
	}
	return items, nil, nil
}

func byHash(a, b string) int {
	return cmp.Or(cmp.Compare(hash(a), hash(b)), cmp.Compare(a, b))
}

func hash(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return h.Sum64()
}

// find returns the table and the key's value, under the lock.
func (db *DB) find(name string, key Item) (*table, string, error) {
	t := db.tables[name]
	if t == nil || time.Now().Before(t.active) {
		return nil, "", notFound(name)
	}
	s, ok := key[t.key].(*types.AttributeValueMemberS)
	if !ok || len(key) != 1 {
		return nil, "", invalid("The provided key element does not match the schema")
	}
	return t, s.Value, nil
}

// keyOf cuts the key out of a whole item.
func (db *DB) keyOf(name string, item Item) (Item, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	t := db.tables[name]
	if t == nil {
		return nil, notFound(name)
	}
	return Item{t.key: item[t.key]}, nil
}

func notFound(name string) error {
	return &types.ResourceNotFoundException{Message: new("Requested resource not found: Table: " + name + " not found")}
}

func invalid(format string, args ...any) error {
	return &smithy.GenericAPIError{Code: "ValidationException", Message: fmt.Sprintf(format, args...), Fault: smithy.FaultClient}
}
