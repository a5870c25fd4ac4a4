package vocabulary

// maxVersion is the length of the longest version, 20150331v2 with room.
const maxVersion = len("20150331v999")

// unversioned returns an event name without the version of its API, and the one
// event source that appends versions of that form; base is empty for a name
// without one.
//
// Semantics: AWS Lambda developer guide and Amazon CloudFront developer guide,
// logging with CloudTrail: CreateFunction20150331, UpdateFunctionCode20150331v2,
// UpdateDistribution2020_05_31.
func unversioned(name string) (base, source string) {
	digits := func(s string) int {
		n := 0
		for n < len(s) && s[len(s)-1-n] >= '0' && s[len(s)-1-n] <= '9' {
			n++
		}
		return n
	}
	rest := name
	if n := digits(rest); n == 2 && len(rest) > 3 && rest[len(rest)-3] == '_' {
		month := rest[:len(rest)-3]
		if digits(month) != 2 || len(month) <= 3 || month[len(month)-3] != '_' {
			return "", ""
		}
		year := month[:len(month)-3]
		if digits(year) != 4 {
			return "", ""
		}
		return year[:len(year)-4], "cloudfront.amazonaws.com"
	} else if n > 0 && n <= 3 && len(rest) > n && rest[len(rest)-n-1] == 'v' {
		rest = rest[:len(rest)-n-1]
	}
	if digits(rest) != 8 {
		return "", ""
	}
	return rest[:len(rest)-8], "lambda.amazonaws.com"
}
