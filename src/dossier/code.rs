//! The grammars of official codes: dossier, agency and procedure.
//!
//! Dossier code: TT 01/2018/TT-VPCP art. 19. Agency code: TT 10/2016/TT-BTTTT (old form) and QĐ 20/2020/QĐ-TTg (new
//! form), both in use. Procedure code: the national database of administrative procedures.

use jiff::civil::Date;

/// An agency's code in either form, compared by what it names: `000.00.14.H56` is `H56.14`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AgencyCode {
    /// The groups of the new form, most general first, without unused ones.
    groups: Vec<String>,
}

impl AgencyCode {
    /// Reads a code of either form; `None` where it is neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::old(text).or_else(|| Self::new(text))
    }

    /// Old form `V1V2V3.Z1Z2.Y1Y2.MX1X2`, read from right to left; zeros are unused groups.
    fn old(text: &str) -> Option<Self> {
        let groups: Vec<_> = text.split('.').collect();
        let widths: Vec<_> = groups.iter().map(|group| group.len()).collect();
        if widths != [3, 2, 2, 3] || !groups.iter().all(|group| is_plain(group)) || !is_head(groups[3]) {
            return None;
        }
        let groups = groups.into_iter().rev().map(str::to_owned);
        let mut groups: Vec<_> = groups.collect();
        // only trailing zeros are unused: a zero between two used levels keeps its place
        while groups
            .last()
            .is_some_and(|group| group.bytes().all(|byte| byte == b'0'))
        {
            groups.pop();
        }
        Some(Self { groups })
    }

    /// New form: at most 35 characters, the most general group first.
    fn new(text: &str) -> Option<Self> {
        let groups: Vec<_> = text.split('.').map(str::to_owned).collect();
        let sound = text.len() <= 35 && is_head(&groups[0]) && groups.iter().all(|group| is_plain(group));
        sound.then_some(Self { groups })
    }

    /// The code in the new form.
    #[must_use]
    pub fn modern(&self) -> String {
        self.groups.join(".")
    }

    /// The province or ministry that the agency belongs to: `H56`.
    #[must_use]
    pub fn top(&self) -> &str {
        &self.groups[0]
    }
}

/// A letter and two digits: `G..` ministries, `H..` provinces.
fn is_head(group: &str) -> bool {
    matches!(group.as_bytes(), [letter, one, two]
        if letter.is_ascii_uppercase() && one.is_ascii_digit() && two.is_ascii_digit())
}

fn is_plain(group: &str) -> bool {
    !group.is_empty()
        && group
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// An official dossier code, `<agency>-YYMMDD-XXXX`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DossierCode {
    /// The agency that took the dossier in.
    pub agency: AgencyCode,
    /// The day of receipt.
    pub day: Date,
    /// Number of the day: four digits by rule, up to six tolerated.
    pub number: String,
}

impl DossierCode {
    /// Reads a code; `None` where it is not official.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (agency, day, number) = (parts.next()?, parts.next()?, parts.next()?);
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if parts.next().is_some() || day.len() != 6 || !digits(day) || !digits(number) {
            return None;
        }
        let day: u32 = day.parse().ok()?;
        let part = |number: u32| i8::try_from(number % 100).ok();
        let year = 2000 + i16::from(part(day / 10_000)?);
        Some(Self {
            agency: AgencyCode::parse(agency)?,
            day: Date::new(year, part(day / 100)?, part(day)?).ok()?,
            number: (4..=6).contains(&number.len()).then(|| number.to_owned())?,
        })
    }

    /// Whether two codes name the same dossier when the two forms of agency codes are held equal. Only a candidate
    /// for a join: procedure and applicant must agree as well.
    #[must_use]
    pub fn alike(&self, other: &Self) -> bool {
        self == other
    }

    /// The code with the agency in the new form: equal for codes that are [`alike`](Self::alike).
    #[must_use]
    pub fn modern(&self) -> String {
        format!(
            "{}-{}-{}",
            self.agency.modern(),
            self.day.strftime("%y%m%d"),
            self.number
        )
    }
}

/// A procedure's code: the national root, possibly with the code of the agency that localised it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProcedureCode {
    /// Kind digit, dot, six digits: `1.001193`. What systems are matched by.
    pub root: String,
    /// The agency of a localised code: `H56` in `2.002622.H56`.
    pub agency: Option<AgencyCode>,
}

impl ProcedureCode {
    /// Reads a code; `None` where it is none of the national grammar (provinces also have local codes).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        let (kind, number, rest) = (parts.next()?, parts.next()?, parts.next());
        let kind_sound = matches!(kind.as_bytes(), [b'1'..=b'9']);
        if !kind_sound || number.len() != 6 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let agency = match rest {
            None => None,
            Some(head) if is_head(head) => Some(AgencyCode::parse(head)?),
            Some(old) => Some(AgencyCode::old(old)?),
        };
        Some(Self {
            root: format!("{kind}.{number}"),
            agency,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_new_forms_of_an_agency_code_are_one_agency() {
        for (old, new) in [
            ("000.00.14.H56", "H56.14"),
            ("000.17.22.H56", "H56.22.17"),
            ("000.00.00.H56", "H56"),
            ("001.17.22.H56", "H56.22.17.001"),
            ("000.17.00.H56", "H56.00.17"),
        ] {
            assert_eq!(AgencyCode::parse(old), AgencyCode::parse(new), "{old}");
            assert_eq!(AgencyCode::parse(old).unwrap().modern(), new);
            assert_eq!(AgencyCode::parse(old).unwrap().top(), "H56");
        }
        for wrong in [
            "",
            "H5",
            "h56.14",
            "00.00.14.H56",
            "H56.",
            "H56..1",
            "H56.12345678901234567890123456789012",
        ] {
            assert_eq!(AgencyCode::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn dossier_codes_of_both_generations_are_official() {
        for code in [
            "000.17.22.H56-210531-0001",
            "H56.14-240823-0001",
            "H56.14-240229-12345",
            "G01.899.001-240823-0001",
        ] {
            assert!(DossierCode::parse(code).is_some(), "{code}");
        }
        for code in [
            "H56.14-240823-001",
            "H56.14-240823-1234567",
            "H56.14-250229-0001",
            "H56.14-241301-0001",
            "H56.14-240823",
            "H56.14-240823-0001-1",
            "14-240823-0001",
            "TS_lop1-240823-0001",
            "H56.14-+40823-0001",
            "",
        ] {
            assert_eq!(DossierCode::parse(code), None, "{code}");
        }
    }

    #[test]
    fn codes_that_differ_only_in_the_form_of_the_agency_are_alike() {
        let old = DossierCode::parse("000.00.14.H56-240823-0001").unwrap();
        let new = DossierCode::parse("H56.14-240823-0001").unwrap();
        assert!(old.alike(&new));
        assert_eq!(old.modern(), "H56.14-240823-0001");
        assert!(!old.alike(&DossierCode::parse("H56.15-240823-0001").unwrap()));
    }

    #[test]
    fn procedure_codes_have_one_root_in_every_form() {
        for code in ["1.001193", "1.001193.000.00.00.H56", "1.001193.H56"] {
            assert_eq!(ProcedureCode::parse(code).unwrap().root, "1.001193", "{code}");
        }
        for code in [
            "0.001193",
            "1.00119",
            "1.001193.",
            "1.001193.X",
            "TS_lop1.000.00.00.H22",
            "1.001193.H56.1",
        ] {
            assert_eq!(ProcedureCode::parse(code), None, "{code}");
        }
    }
}
