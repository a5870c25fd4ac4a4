package enrich

import (
	"fmt"
	"os"
	"strings"

	"github.com/oschwald/maxminddb-golang/v2"
	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// Bounds of a data base.
const (
	maxCountryDB = 1 << 30 // bytes
	probed       = 4096    // records in which a country must be found when it is opened
)

// countries looks addresses up in a data base that is wholly in memory, so that
// a file that is replaced under way does no harm.
type countries struct {
	db     *maxminddb.Reader
	cached *cache[country]
}

type country struct {
	code, name string
	ok         bool
}

func openCountries(file string) (*countries, error) {
	src, err := readFile(file, maxCountryDB)
	if err != nil {
		return nil, err
	}
	db, err := maxminddb.OpenBytes(src)
	if err != nil {
		return nil, fmt.Errorf("%s: reading the country data base: %w", file, err)
	}
	c := &countries{db: db, cached: newCache[country]()}
	seen := 0
	for result := range db.Networks() {
		if err := result.Err(); err != nil {
			return nil, fmt.Errorf("%s: reading the country data base: %w", file, err)
		}
		if c.read(result).ok {
			return c, nil
		}
		if seen++; seen == probed {
			break
		}
	}
	return nil, fmt.Errorf("%s: no record has country.iso_code or country_code: this is no country data base (its type is %q)", file, db.Metadata.DatabaseType)
}

func (c *countries) lookup(ip string) (code, name string, ok bool) {
	at := c.cached.get(ip, c.find)
	return at.code, at.name, at.ok
}

func (c *countries) find(ip string) country {
	addr, ok := parseAddress(ip)
	if !ok {
		return country{}
	}
	return c.read(c.db.Lookup(addr))
}

// read returns the country of a record. A record without one, or that does not
// read, has none.
//
// Semantics: MaxMind, GeoIP2 Country (country.iso_code, country.names.en); data
// bases with country_code, and perhaps country_name, at the top.
func (c *countries) read(result maxminddb.Result) country {
	if result.Err() != nil || !result.Found() {
		return country{}
	}
	text := func(path ...any) string {
		var s string
		if err := result.DecodePath(&s, path...); err != nil {
			return "" // of another type: as if it were not there
		}
		return s
	}
	at := country{code: text("country", "iso_code")}
	if at.code != "" {
		at.name = text("country", "names", "en")
	} else {
		at.code, at.name = text("country_code"), text("country_name")
	}
	at.code = strings.ToUpper(at.code)
	if at.ok = len(at.code) == 2; !at.ok {
		return country{}
	}
	if at.name == "" {
		at.name = englishName(at.code)
	}
	return at
}

// englishName returns the English name of a country, its code if it has none.
//
// Semantics: Unicode CLDR, territory names.
func englishName(code string) string {
	region, err := language.ParseRegion(code)
	if err != nil {
		return code
	}
	if name := display.English.Regions().Name(region); name != "" {
		return name
	}
	return code
}

// readFile reads a file that must not be larger than most bytes.
func readFile(file string, most int64) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("reading enrichment: %w", err)
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s: is a directory", file)
	}
	if info.Size() > most {
		return nil, fmt.Errorf("%s: larger than %d MiB", file, most>>20)
	}
	src, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading enrichment: %w", err)
	}
	return src, nil
}
