package cloudtrail

// ParseTime parses an eventTime, RFC 3339 with seconds, an optional fraction
// and Z or a numeric offset, to nanoseconds since the Unix epoch. Digits of the
// fraction beyond the ninth are cut off. It answers false for anything else,
// for dates that do not exist (30 February, hour 24, second 60) and for years
// that nanoseconds cannot hold (before 1678, after 2261). It does not allocate.
//
// Semantics: AWS CloudTrail record contents, field eventTime.
func ParseTime(b []byte) (nanos int64, ok bool) {
	if len(b) < len("2006-01-02T15:04:05Z") ||
		b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' {
		return 0, false
	}
	century, ok1 := digits2(b)
	year, ok2 := digits2(b[2:])
	month, ok3 := digits2(b[5:])
	day, ok4 := digits2(b[8:])
	hour, ok5 := digits2(b[11:])
	minute, ok6 := digits2(b[14:])
	second, ok7 := digits2(b[17:])
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || !ok6 || !ok7 {
		return 0, false
	}
	year += 100 * century
	if year < 1678 || year > 2261 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) ||
		hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	fraction, b, ok := parseFraction(b[19:])
	if !ok {
		return 0, false
	}
	offset, ok := parseOffset(b)
	if !ok {
		return 0, false
	}
	seconds := daysSinceEpoch(year, month, day)*86400 + int64(hour*3600+minute*60+second-offset)
	return seconds*1e9 + fraction, true
}

// day remembers the last day that was parsed: events of one file or partition
// mostly share it.
type day struct {
	text     [len("2006-01-02T")]byte
	midnight int64 // Unix nanoseconds
}

// parse is ParseTime.
func (d *day) parse(b []byte) (nanos int64, ok bool) {
	const plain = len("2006-01-02T15:04:05Z")
	if len(b) != plain || b[len(d.text)-1] != 'T' || b[plain-1] != 'Z' {
		return ParseTime(b)
	}
	if string(b[:len(d.text)]) != string(d.text[:]) {
		if nanos, ok = ParseTime(b); ok {
			copy(d.text[:], b)
			clock, _ := parseClock(b[len(d.text):])
			d.midnight = nanos - clock
		}
		return nanos, ok
	}
	clock, ok := parseClock(b[len(d.text):])
	return d.midnight + clock, ok
}

// parseClock reads hh:mm:ss at the beginning of b, which is long enough, as
// nanoseconds.
func parseClock(b []byte) (nanos int64, ok bool) {
	hour, ok1 := digits2(b)
	minute, ok2 := digits2(b[3:])
	second, ok3 := digits2(b[6:])
	ok = ok1 && ok2 && ok3 && b[2] == ':' && b[5] == ':' && hour <= 23 && minute <= 59 && second <= 59
	if !ok {
		return 0, false
	}
	return int64(hour*3600+minute*60+second) * 1e9, true
}

// parseFraction reads ".digits" if b begins with it.
func parseFraction(b []byte) (nanos int64, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '.' {
		return 0, b, true
	}
	i, scale := 1, int64(1e8)
	for i < len(b) && isDigit(b[i]) {
		nanos += int64(b[i]-'0') * scale
		scale /= 10
		i++
	}
	return nanos, b[i:], i > 1
}

// parseOffset reads Z or ±hh:mm, and nothing after it.
func parseOffset(b []byte) (seconds int, ok bool) {
	if len(b) == 1 && b[0] == 'Z' {
		return 0, true
	}
	if len(b) != len("+hh:mm") || b[0] != '+' && b[0] != '-' || b[3] != ':' {
		return 0, false
	}
	h, ok1 := digits2(b[1:])
	m, ok2 := digits2(b[4:])
	if !ok1 || !ok2 || h > 23 || m > 59 {
		return 0, false
	}
	seconds = h*3600 + m*60
	if b[0] == '-' {
		seconds = -seconds
	}
	return seconds, true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func digits2(b []byte) (int, bool) {
	return int(b[0]-'0')*10 + int(b[1]-'0'), isDigit(b[0]) && isDigit(b[1])
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// daysSinceEpoch counts the days from 1970-01-01 in the proleptic Gregorian
// calendar. Years are taken to begin in March, so that the leap day is last.
func daysSinceEpoch(year, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	// Days of the months from March on: 0, 31, 61, 92, … = (153 m + 2) / 5.
	const marchFirst1970 = 719468 // days from 0000-03-01 to 1970-01-01
	days := 365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 1
	return int64(days - marchFirst1970)
}
