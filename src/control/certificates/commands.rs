//! Runs `tidemq ca` and `tidemq cert`: takes what was asked for, has it done, and says what was done.

use std::path::Path;
use std::process::ExitCode;

use super::args::{Broker, Ca, Cert, Client, Edit, Input, Issue, Sign, Target, Which};
use super::authorities::{Form, Handing, Issuing};
use super::broker::server_names;
use super::files::{self, Eyes, Output};
use super::show::Said;
use super::{Refused, Registry};
use crate::control::cli::Place;
use crate::control::commands::{apply, paths};
use crate::control::failure::{Exit, Failure};
use crate::control::output::{show, tell};
use crate::control::pki::export::Protection;
use crate::control::pki::make::{AuthorityRequest, ClientRequest, Profile};
use crate::control::pki::request::SigningRequest;
use crate::control::pki::{Certified, Expiry, Thumbprint, moment};
use crate::control::table::Table;
use crate::policy::certificates::Listing;

/// Runs `tidemq ca`.
pub(in crate::control) fn ca(command: &Ca) -> Result<ExitCode, Failure> {
    match command {
        Ca::Create { edit, name, days, key_type, issues } => {
            let mut registry = open(&edit.place)?;
            let request = AuthorityRequest { common_name: name.clone(), days: *days, key_type: *key_type };
            let made = registry.create_authority(&request, issuing(*issues))?;
            let issues = registry.issuing_shown(issuing(*issues), &made);
            let text = format!("made the authority `{name}`\n{}{issues}", registry.shown(&made)?);
            finish(registry, edit, &text)
        }
        Ca::Import { edit, input, name, issues } => {
            let mut registry = open(&edit.place)?;
            let imported = imported(input)?;
            let left_out = left_out(imported.left_out);
            let taken = registry.import_authority(imported, name.as_deref(), issuing(*issues));
            let (authority, name) = taken.map_err(|refused| named(&input.file, refused))?;
            let key = if authority.key.is_some() {
                "with its private key"
            } else {
                "without a private key: it cannot issue"
            };
            let issues = registry.issuing_shown(issuing(*issues), &authority);
            let shown = registry.shown(&authority)?;
            let text = format!("took the authority `{name}`, {key}\n{shown}{left_out}{issues}");
            finish(registry, edit, &text)
        }
        Ca::Export { place, name, export } => {
            let registry = open(place)?;
            let authority = registry.authority(name)?;
            write_out(&registry, &authority.thumbprint, export)
        }
        Ca::List(place) => {
            let none = "there are no authorities; `tidemq ca create --name NAME` makes one";
            Ok(listed(&open(place)?.authorities_listed(), none))
        }
        Ca::Show { place, name } => {
            let registry = open(place)?;
            let authority = registry.authority(name)?;
            show_stored(&registry, &authority.thumbprint)
        }
        Ca::Use { edit, name } => {
            let mut registry = open(&edit.place)?;
            let authority = registry.use_authority(name)?;
            finish(registry, edit, &format!("`{}` issues from now on", authority.name))
        }
        Ca::Remove { edit, name, destroy_key } => remove_authority(edit, name, *destroy_key),
        Ca::Issue(asked) => issue(asked),
        Ca::Sign(asked) => sign(asked),
    }
}

fn issuing(at_once: bool) -> Issuing {
    if at_once { Issuing::Yes } else { Issuing::IfNone }
}

fn remove_authority(edit: &Edit, name: &str, destroy_key: bool) -> Result<ExitCode, Failure> {
    let mut registry = open(&edit.place)?;
    let authority = registry.remove_authority(name)?;
    let store = registry.store.clone();
    let keys = if destroy_key || !store.has_key(&authority.thumbprint) {
        String::new()
    } else {
        "\nits private key stays in the data directory".to_owned()
    };
    let issues = if authority.issues {
        "\nno authority issues now, and the broker's certificate is signed by itself; `tidemq ca use NAME` chooses one"
    } else {
        ""
    };
    let name = &authority.name;
    let text = format!("removed the authority `{name}`: what it issued is trusted no longer{issues}{keys}");
    let done = finish(registry, edit, &text)?;
    if destroy_key && done == ExitCode::SUCCESS {
        store.remove_key(&authority.thumbprint)?;
        return Ok(tell("its private key is destroyed"));
    }
    Ok(done)
}

fn issue(asked: &Issue) -> Result<ExitCode, Failure> {
    let mut registry = open(&asked.edit.place)?;
    let issuer = registry.issuer(asked.authority.as_deref())?;
    let request = ClientRequest {
        common_name: asked.name.clone(),
        names: asked.san.clone(),
        days: asked.days,
        key_type: asked.key_type,
    };
    let (made, file) = match (&asked.pem, &asked.pkcs12) {
        (Some(pem), _) => (registry.issue(&issuer, &request, &Handing::Pem(pem))?, pem),
        (None, Some(pkcs12)) => {
            let password = files::new_password(asked.password_file.as_deref())?;
            let protection = if asked.old_encryption { Protection::Old } else { Protection::Modern };
            (registry.issue(&issuer, &request, &Handing::Pkcs12(pkcs12, &password, protection))?, pkcs12)
        }
        (None, None) => {
            return Err(Failure::new(
                Exit::Given,
                "nowhere to write it",
                "name a file with `--pem` or `--pkcs12`",
            ));
        }
    };
    let mut text = format!(
        "issued a certificate and its key to `{}`, in {}\n{}",
        asked.name,
        file.display(),
        registry.shown(&made)?
    );
    if asked.authorize {
        text.push_str(&authorized(&mut registry, &made)?);
    }
    finish(registry, &asked.edit, &text)
}

fn sign(asked: &Sign) -> Result<ExitCode, Failure> {
    let mut registry = open(&asked.edit.place)?;
    let issuer = registry.issuer(asked.authority.as_deref())?;
    let request = files::input(&asked.file)?;
    let request = SigningRequest::read(&request).map_err(|error| files::about(&asked.file, error))?;
    let profile = if asked.server { Profile::Server } else { Profile::Client };
    let made = registry
        .sign(&issuer, &request, profile, asked.days, &asked.out)
        .map_err(|refused| named(&asked.file, refused))?;
    let listed = if asked.authorize { authorized(&mut registry, &made)? } else { String::new() };
    let text = format!(
        "signed the request of `{}`\n{}{listed}",
        request.common_name.escape_debug(),
        registry.shown(&made)?
    );
    finish(registry, &asked.edit, &text)
}

fn authorized(registry: &mut Registry, made: &Certified) -> Result<String, Failure> {
    let certified = Certified { chain: made.chain.clone(), key: None };
    let listed = registry.list_client(None, certified, Listing::Authorized)?;
    Ok(format!("\nlisted it as authorized, as `{}`", listed.name))
}

/// Runs `tidemq cert`.
pub(in crate::control) fn cert(command: &Cert) -> Result<ExitCode, Failure> {
    match command {
        Cert::Broker(command) => broker(command),
        Cert::Client(command) => client(command),
    }
}

fn broker(command: &Broker) -> Result<ExitCode, Failure> {
    match command {
        Broker::Show(place) => match open(place)?.broker_said()? {
            Some(said) => Ok(show(&said, Said::text)),
            None => Ok(tell(
                "the broker makes its certificate when it starts; `tidemq cert broker new` makes one now",
            )),
        },
        Broker::New { edit, san, key_type } => {
            server_names(san)?;
            let mut registry = open(&edit.place)?;
            let (said, renew_at) = registry.new_broker_certificate(san, *key_type)?;
            let shown = Said::of(&said, registry.now).text();
            let text =
                format!("made a broker certificate\n{shown}\n{:<12} {}", "Renewed at", moment(renew_at));
            finish(registry, edit, &text)
        }
        Broker::Import { edit, input } => {
            let mut registry = open(&edit.place)?;
            let imported = imported(input)?;
            let left_out = left_out(imported.left_out);
            let taken = registry.import_broker_certificate(imported);
            let certified = taken.map_err(|refused| named(&input.file, refused))?;
            let doubts: String =
                certified.doubts_as_broker()?.iter().map(|doubt| format!("\nwarning: {doubt}")).collect();
            let text =
                format!("took the broker's certificate\n{}{left_out}{doubts}", registry.shown(&certified)?);
            finish(registry, edit, &text)
        }
        Broker::Use { edit, which } => {
            let mut registry = open(&edit.place)?;
            if which == "auto" {
                registry.automatic_broker_certificate();
                return finish(registry, edit, "the broker makes and renews its certificate");
            }
            let thumbprint: Thumbprint = which.parse().map_err(|_| {
                Failure::new(
                    Exit::Given,
                    format!("`{}` is no thumbprint", which.escape_debug()),
                    "write `auto`, or 64 hexadecimal digits",
                )
            })?;
            registry.use_broker_certificate(&thumbprint)?;
            finish(registry, edit, &format!("the broker shows {thumbprint}"))
        }
        Broker::Export { place, export } => {
            let registry = open(place)?;
            match registry.broker_certificate()? {
                Some((certified, _)) => write_certified(&certified, export),
                None => Err(Failure::new(
                    Exit::Given,
                    "there is no broker certificate yet",
                    "the broker makes one when it starts with TLS; `tidemq cert broker new` makes one now",
                )),
            }
        }
    }
}

fn client(command: &Client) -> Result<ExitCode, Failure> {
    match command {
        Client::Add { edit, files, name, password_file, revoked, expired } => {
            let listing = if *revoked { Listing::Revoked } else { Listing::Authorized };
            let expiry = if *revoked || *expired { Expiry::Taken } else { Expiry::Refused };
            if name.is_some() && files.len() > 1 {
                return Err(Failure::new(
                    Exit::Given,
                    "one name for several files",
                    "leave out `--name`, or add them one by one",
                ));
            }
            let mut registry = open(&edit.place)?;
            let mut lines = Vec::new();
            for file in files {
                let imported = files::imported(file, None, password_file.as_deref())?;
                let certified =
                    imported.into_client(expiry, registry.now).map_err(|error| files::about(file, error))?;
                let listed = registry
                    .list_client(name.as_deref(), certified, listing)
                    .map_err(|refused| named(file, refused))?;
                lines.push(format!(
                    "listed `{}` as {}: {}",
                    listed.name,
                    super::clients::word(listing),
                    listed.thumbprint
                ));
            }
            finish(registry, edit, &lines.join("\n"))
        }
        Client::Authorize(which) => mark(which, Listing::Authorized),
        Client::Revoke(which) => mark(which, Listing::Revoked),
        Client::Remove(Which { edit, which }) => {
            let mut registry = open(&edit.place)?;
            let meant = registry.unlist(which)?;
            let again = match meant.listing {
                Some(Listing::Revoked) => {
                    "\nit was revoked: whoever has its key gets in again if it is trusted"
                }
                _ => "",
            };
            finish(
                registry,
                edit,
                &format!("`{}` is listed no longer: {}{again}", meant.name, meant.thumbprint),
            )
        }
        Client::List(place) => {
            let none = "there are no client certificates; `tidemq cert client add FILE` lists one";
            Ok(listed(&open(place)?.clients_listed()?, none))
        }
        Client::Show { place, which } => {
            let mut registry = open(place)?;
            if let Some(certified) = registry.client_certificate(which)? {
                return Ok(show(&registry.said(&certified)?, Said::text));
            }
            Ok(tell("the certificate itself is not here, only its thumbprint"))
        }
        Client::Export { place, which, export } => {
            let mut registry = open(place)?;
            let meant = registry.client(which, Expiry::Taken)?;
            write_out(&registry, &meant.thumbprint, export)
        }
    }
}

fn mark(Which { edit, which }: &Which, listing: Listing) -> Result<ExitCode, Failure> {
    let mut registry = open(&edit.place)?;
    let meant = registry.mark(which, listing)?;
    let text = format!("`{}` is {}: {}", meant.name, super::clients::word(listing), meant.thumbprint);
    finish(registry, edit, &text)
}

fn open(place: &Place) -> Result<Registry, Failure> {
    Ok(Registry::open(&paths(place)?)?)
}

fn imported(input: &Input) -> Result<crate::control::pki::Imported, Failure> {
    files::imported(&input.file, input.key.as_deref(), input.password_file.as_deref())
}

fn left_out(certificates: usize) -> String {
    match certificates {
        0 => String::new(),
        1 => "\none certificate that has nothing to do with it was left out".into(),
        more => format!("\n{more} certificates that have nothing to do with it were left out"),
    }
}

fn named(file: &Path, refused: Refused) -> Failure {
    let failure = Failure::from(refused);
    Failure { cause: format!("{}: {}", file.display(), failure.cause), ..failure }
}

fn show_stored(registry: &Registry, thumbprint: &Thumbprint) -> Result<ExitCode, Failure> {
    let certified = Certified { chain: registry.store.chain(thumbprint)?, key: None };
    Ok(show(&registry.said(&certified)?, Said::text))
}

fn listed(table: &Table, none: &str) -> ExitCode {
    show(&table.json(), |_| if table.is_empty() { none.to_owned() } else { table.text() })
}

fn write_out(registry: &Registry, thumbprint: &Thumbprint, export: &Target) -> Result<ExitCode, Failure> {
    write_certified(&Certified { chain: registry.store.chain(thumbprint)?, key: None }, export)
}

fn write_certified(certified: &Certified, export: &Target) -> Result<ExitCode, Failure> {
    let form = match (export.der, export.chain) {
        (true, _) => Form::Der,
        (false, true) => Form::PemChain,
        (false, false) => Form::Pem,
    };
    Output::new(&export.out, form.of(certified).into(), Eyes::All)?.write()?;
    Ok(ExitCode::SUCCESS)
}

/// Does what was prepared, says so, and applies it if that was asked for.
fn finish(registry: Registry, edit: &Edit, text: &str) -> Result<ExitCode, Failure> {
    let (changed, file) = (registry.draft.is_changed(), registry.draft.path().to_owned());
    // What goes to standard output is a file then, and nothing is to stand behind it.
    let tell = if registry.outputs.iter().any(Output::is_standard) { aside } else { tell };
    registry.commit()?;
    let printed = tell(text);
    if edit.apply {
        return apply(&paths(&edit.place)?);
    }
    if changed {
        return Ok(tell(&format!("{} is edited: `tidemq config apply` applies it", file.display())));
    }
    Ok(printed)
}

/// Says it on standard error.
fn aside(text: &str) -> ExitCode {
    eprintln!("{text}");
    ExitCode::SUCCESS
}
