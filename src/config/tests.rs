use super::*;

#[test]
fn shipped_configuration_and_its_adapters_have_no_fault() {
    let text = include_str!("../../deploy/lienthong.toml").to_owned();
    let mut config = Config::parse("lienthong.toml", text).unwrap();
    config.adapters = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters");
    config.environment = Arc::new(|name| Some(name.to_lowercase()));
    let adapters = config.load_adapters().unwrap();
    let names: Vec<&str> = adapters.iter().map(|adapter| adapter.name.as_str()).collect();
    let all = [
        "driving-licence",
        "judicial-records",
        "national-portal",
        "one-stop",
        "population",
    ];
    assert_eq!(names, all);
}

#[test]
fn every_fault_of_a_configuration_is_told_at_once() {
    let text = "[stor]\nurl = \"sqlite:x\"\n[http]\nlisten = \"everywhere\"\n[adapters]\nfolder = 7\n\
                [adapter.one-stop]\nurls = \"https://motcua.example.vn\"\n";
    let faults = Config::parse("lienthong.toml", text.to_owned()).err().unwrap();
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "lienthong.toml:1: [unknown-key] stor: expected `store`; next correct the name or remove the key",
            "lienthong.toml:1: [missing-key] store: next add [store] with \
             `url = \"sqlite:///var/lib/lienthong/lienthong.db\"`",
            "lienthong.toml:3: [bad-address] http: expected an address and a port, as in \"127.0.0.1:8080\"; \
             next correct http.listen",
            "lienthong.toml:6: [wrong-type] adapters.folder: found a whole number; expected text; \
             next write it in the expected form",
            "lienthong.toml:8: [unknown-key] adapter.one-stop.urls: expected `url`; \
             next correct the name or remove the key",
        ]
    );
}

#[test]
fn system_that_brings_files_needs_a_folder_for_them_and_an_address_that_others_can_open() {
    let text = |files: &str| {
        format!(
            "[store]\nurl = \"sqlite:x\"\n[adapters]\nfolder = \"adapters\"\n{files}[adapter.driving-licence]\n"
        )
    };
    let mut config = Config::parse("lienthong.toml", text("")).unwrap();
    config.adapters = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters");
    config.environment = Arc::new(|name| Some(name.to_lowercase()));
    let told: Vec<String> = config
        .load_adapters()
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        told,
        ["lienthong.toml: [files-nowhere] files.folder: \
          found none, and lookup.papers of `driving-licence` brings files; \
          expected a folder for them, on a disk that is backed up; next add [files] with folder and url"]
    );
    config.files = Some("files".into());
    assert!(config.load_adapters().is_ok());

    let unsound = text("[files]\nfolder = \"files\"\nurl = \"lienthong.example.vn\"\n");
    let faults = Config::parse("lienthong.toml", unsound).err().unwrap();
    assert_eq!(
        faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "lienthong.toml:7: [bad-address] files.url: expected an address that other systems can open, as in \
          \"https://lienthong.example.vn\"; next correct files.url"
        ]
    );
}

#[test]
fn system_is_reached_through_the_variant_that_the_site_has_chosen() {
    let load = |chosen: &str| {
        let text = format!(
            "[store]\nurl = \"sqlite:x\"\n[adapters]\nfolder = \"adapters\"\n[adapter.portal]\n\
             use = \"national-portal\"\n{chosen}"
        );
        let mut config = Config::parse("lienthong.toml", text).unwrap();
        config.adapters = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters");
        config.environment = Arc::new(|name| name.contains("CLIENT").then(|| name.to_lowercase()));
        config.load_adapters()
    };
    let adapter = load("variant = \"lgsp\"").unwrap().swap_remove(0);
    assert_eq!(adapter.variant.as_deref(), Some("lgsp"));
    let told = |chosen: &str| -> Vec<String> {
        let faults = load(chosen).unwrap_err();
        faults.iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        told("variant = \"lgps\""),
        [
            "lienthong.toml: [variant-unknown] adapter.portal.variant: found \"lgps\"; expected \"lgsp\"; next \
          correct the name"
        ]
    );
    assert_eq!(
        told("variant = \"lgsp\"\nsettings = { agency = \"H57\" }"),
        [
            "lienthong.toml: [unknown-setting] adapter.portal.settings.agency: expected a setting that the manifest \
          declares; next remove it, or declare it in [settings] of adapter.toml"
        ]
    );
    let missing = told("");
    assert_eq!(
        missing.len(),
        2,
        "the base form asks for its own secrets: {missing:?}"
    );
    assert!(
        missing[0].starts_with("national-portal/adapter.toml:"),
        "{missing:?}"
    );
}

#[test]
fn address_of_the_store_may_be_a_secret() {
    let resolve = |url: &str| {
        let text =
            format!("[store]\nurl = \"{url}\"\n[adapters]\nfolder = \"adapters\"\n[adapter.one-stop]\n");
        let mut config = Config::parse("lienthong.toml", text).unwrap();
        config.adapters = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters");
        config.environment = Arc::new(|name| (!name.starts_with("ABSENT")).then(|| name.to_lowercase()));
        config.resolve().map(|resolved| resolved.store)
    };
    assert_eq!(resolve("sqlite:x").unwrap(), "sqlite:x");
    assert_eq!(resolve("${STORE_URL}").unwrap(), "store_url");
    for (url, told) in [
        (
            "${ABSENT}",
            "lienthong.toml: [secret-missing] store.url: found ABSENT is not set; next set ABSENT, or ABSENT_FILE to \
             the file that holds it, in the environment",
        ),
        (
            "postgres://lienthong:${PASSWORD}@db/lienthong",
            "lienthong.toml: [bad-secret] store.url: found `${` inside other text; expected \"${NAME}\" alone; next \
             let the secret be the whole address, or leave the password to PGPASSWORD or ~/.pgpass",
        ),
    ] {
        let faults = resolve(url).unwrap_err();
        assert_eq!(faults.iter().map(ToString::to_string).collect::<Vec<_>>(), [told]);
    }
}

#[test]
fn two_systems_cannot_listen_under_one_path() {
    let text = "[store]\nurl = \"sqlite:x\"\n[adapters]\nfolder = \"adapters\"\n[adapter.one-stop]\n\
                [adapter.second]\nuse = \"one-stop\"\n";
    let mut config = Config::parse("lienthong.toml", text.to_owned()).unwrap();
    config.adapters = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters");
    config.environment = Arc::new(|name| Some(name.to_lowercase()));
    let faults = config.load_adapters().err().unwrap();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0].code, "webhook-path-taken");
}

#[test]
fn faults_of_a_site_name_its_own_file_and_setting() {
    let text = "[store]\nurl = \"sqlite:x\"\n[adapters]\nfolder = \"adapters\"\n[adapter.population]\n\
                settings = { rate = \"5 a second\", officers = \"an\", ratte = \"5/s\" }\n";
    let mut config = Config::parse("/etc/node-2.toml", text.to_owned()).unwrap();
    config.adapters = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters");
    config.environment = Arc::new(|name| Some(name.to_lowercase()));
    let faults = config.load_adapters().unwrap_err();
    let mut told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    told.sort();
    assert_eq!(
        told,
        [
            "/etc/node-2.toml: [bad-quota] adapter.population.settings.rate: found \"5 a second\"; expected a number \
             above 0 and a time (s, min, h, day), as in \"5/s\" or \"300/day\", or a setting that has one; next write \
             how many questions the system allows in which time",
            "/etc/node-2.toml: [unknown-setting] adapter.population.settings.ratte: expected `rate`; next correct the \
             name",
            "/etc/node-2.toml: [wrong-type] adapter.population.settings.officers: found text; expected a table; next \
             write it as the adapter's manifest does",
        ]
    );
}

fn with_province(account: &str, owns: &str) -> Vec<String> {
    let text = format!(
        "[store]\nurl = \"sqlite:x\"\n[broker]\nurl = \"amqp://trung-tam@mq.example.vn/lienthong\"\n[adapters]\nfolder = \"a\"\n\
         [adapter.population]\n[province.adapters.population]\naccount = \"{account}\"\nowns = {owns}\n\
         [province.adapters.office]\naccount = \"so\"\nowns = {{ status = \"always\" }}\n"
    );
    let mut config = match Config::parse("lienthong.toml", text) {
        Ok(config) => config,
        Err(faults) => return faults.iter().map(ToString::to_string).collect(),
    };
    config.adapters = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters");
    config.environment = Arc::new(|name| Some(name.to_lowercase()));
    match config.resolve() {
        Ok(resolved) => {
            let elsewhere = resolved.elsewhere.keys().map(String::as_str);
            assert_eq!(
                elsewhere.collect::<Vec<_>>(),
                ["office"],
                "what it hosts is not elsewhere"
            );
            assert_eq!(resolved.broker.speakers["office"], "so");
            Vec::new()
        }
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn agreement_of_the_province_that_this_node_breaks_is_told_with_its_line_or_its_field() {
    let sound = r#"{ identity = "always" }"#;
    assert_eq!(with_province("trung-tam", sound), [""; 0]);
    let told = with_province("so-tu-phap", r#"{ status = "always" }"#);
    assert_eq!(
        told,
        [
            "lienthong.toml: [province-differs] province.adapters.population.account: found \"so-tu-phap\"; expected \
             \"trung-tam\", the account of this node, which hosts the adapter; next take out [adapter.population] if another \
             node hosts it; else correct the account, on every node",
            "lienthong.toml: [province-differs] province.adapters.population.owns: found other rights than in adapter.toml; \
             expected the same: {\"identity\":\"always\"}; next correct one of the two; what stands here has to be the same \
             on every node",
        ]
    );
    let told = with_province("trung-tam", r#"{ identiti = "always" }"#);
    assert_eq!(told.len(), 1);
    assert!(
        told[0].starts_with("lienthong.toml:10: [unknown-name] province.adapters.population.owns.identiti"),
        "{told:?}"
    );
}
